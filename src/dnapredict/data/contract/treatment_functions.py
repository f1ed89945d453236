"""TREATMENT FUNCTION CODE: the service within which a patient is treated, in short words.

Source: NHS Data Model and Dictionary, attribute TREATMENT FUNCTION CODE with the services that were
added on 1 April 2021; the wording is ours. Paediatric services stand beside those of adults.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_SERVICES: Final = """
100 general surgery
101 urology
102 transplant surgery
103 breast surgery
104 colorectal surgery
105 hepatobiliary and pancreatic surgery
106 upper gastrointestinal surgery
107 vascular surgery
108 spinal surgery
109 bariatric surgery
110 trauma and orthopaedics
111 orthopaedics
113 endocrine surgery
115 trauma surgery
120 ear, nose and throat
130 ophthalmology
140 oral surgery
141 restorative dentistry
142 paediatric dentistry
143 orthodontics
144 maxillofacial surgery
145 oral and maxillofacial surgery
150 neurosurgery
160 plastic surgery
161 burns care
170 cardiothoracic surgery
171 paediatric surgery
172 cardiac surgery
173 thoracic surgery
174 cardiothoracic transplantation
180 emergency medicine
190 anaesthetics
191 pain management
192 intensive care medicine
200 aviation and space medicine
211 paediatric urology
212 paediatric transplantation surgery
213 paediatric gastrointestinal surgery
214 paediatric trauma and orthopaedics
215 paediatric ear, nose and throat
216 paediatric ophthalmology
217 paediatric oral and maxillofacial surgery
218 paediatric neurosurgery
219 paediatric plastic surgery
220 paediatric burns care
221 paediatric cardiac surgery
222 paediatric thoracic surgery
223 paediatric epilepsy
230 paediatric clinical pharmacology
240 paediatric palliative medicine
241 paediatric pain management
242 paediatric intensive care
250 paediatric hepatology
251 paediatric gastroenterology
252 paediatric endocrinology
253 paediatric clinical haematology
254 paediatric audio vestibular medicine
255 paediatric clinical immunology and allergy
256 paediatric infectious diseases
257 paediatric dermatology
258 paediatric respiratory medicine
259 paediatric nephrology
260 paediatric medical oncology
261 paediatric inherited metabolic medicine
262 paediatric rheumatology
263 paediatric diabetes
264 paediatric cystic fibrosis
270 paediatric emergency medicine
280 paediatric interventional radiology
290 community paediatrics
291 paediatric neurodisability
300 general internal medicine
301 gastroenterology
302 endocrinology
303 clinical haematology
304 clinical physiology
305 clinical pharmacology
306 hepatology
307 diabetes
308 blood and marrow transplantation
309 haemophilia
310 audio vestibular medicine
311 clinical genetics
313 clinical immunology and allergy
314 rehabilitation medicine
315 palliative medicine
316 clinical immunology
317 allergy
318 intermediate care
319 respite care
320 cardiology
321 paediatric cardiology
322 clinical microbiology
323 spinal injuries
324 anticoagulant service
325 sport and exercise medicine
326 acute internal medicine
327 cardiac rehabilitation
328 stroke medicine
329 transient ischaemic attack
330 dermatology
331 congenital heart disease
333 rare disease
335 inherited metabolic medicine
340 respiratory medicine
341 respiratory physiology
342 pulmonary rehabilitation
343 adult cystic fibrosis
344 complex specialised rehabilitation
345 specialist rehabilitation
346 local specialist rehabilitation
347 sleep medicine
348 post-COVID-19 syndrome
350 infectious diseases
352 tropical medicine
360 genitourinary medicine
361 renal medicine
370 medical oncology
371 nuclear medicine
400 neurology
401 clinical neurophysiology
410 rheumatology
420 paediatrics
421 paediatric neurology
422 neonatal critical care
424 well baby
430 elderly medicine
431 orthogeriatric medicine
450 dental medicine
451 special care dentistry
460 medical ophthalmology
461 ophthalmic and vision science
501 obstetrics
502 gynaecology
503 gynaecological oncology
504 community sexual and reproductive health
505 fetal medicine
560 midwifery
650 physiotherapy
651 occupational therapy
652 speech and language therapy
653 podiatry
654 dietetics
655 orthoptics
656 clinical psychology
657 prosthetics
658 orthotics
659 dramatherapy
660 art therapy
661 music therapy
662 optometry
663 podiatric surgery
670 urological physiology
673 vascular physiology
675 cardiac physiology
677 gastrointestinal physiology
700 learning disability
710 adult mental health
711 child and adolescent psychiatry
712 forensic psychiatry
713 medical psychotherapy
715 old age psychiatry
720 eating disorders
721 addiction
722 liaison psychiatry
723 psychiatric intensive care
724 perinatal mental health
725 mental health recovery and rehabilitation
726 mental health dual diagnosis
727 dementia assessment
730 neuropsychiatry
800 clinical oncology
811 interventional radiology
812 diagnostic imaging
822 chemical pathology
834 medical virology
840 audiology
920 diabetic education
"""
TREATMENT_FUNCTION: Final[Mapping[str, str]] = MappingProxyType(
    dict(line.split(" ", maxsplit=1) for line in _SERVICES.strip().splitlines())
)
