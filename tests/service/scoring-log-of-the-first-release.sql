BEGIN TRANSACTION;
CREATE TABLE scores (
	number INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	asked_by TEXT NOT NULL, 
	request TEXT NOT NULL, 
	model_version TEXT NOT NULL, 
	model_sha256 TEXT NOT NULL, 
	appointment TEXT NOT NULL, 
	patient TEXT, 
	inputs TEXT NOT NULL, 
	probability FLOAT, 
	band TEXT, 
	rank INTEGER, 
	selected BOOLEAN, 
	reasons TEXT, 
	action TEXT, 
	error TEXT, 
	seal TEXT NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "scores" VALUES(1,'2026-11-01T09:00:00+00:00','this machine','8f14e45fceea167a','7','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc',0.3125,'High',1,1,'lead_days past_dna_rate','Call to confirm that the patient can come',NULL,'7a58a0c93fdd4660273c833ddfd600c455f4f4121732e86752ea8a43f7de1ce8');
INSERT INTO "scores" VALUES(2,'2026-11-01T09:00:00+00:00','this machine','8f14e45fceea167a','7','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',NULL,'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc',0.05,'Usual',2,0,'','Call to confirm that the patient can come',NULL,'9390dd3c5f9d57c129947867f5df7d809835a7b88ff96a71646a207a5f6790e0');
INSERT INTO "scores" VALUES(3,'2026-11-02T09:00:00.250000+00:00','this machine','1f0e3dad99908345','7','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc',NULL,NULL,NULL,0,'',NULL,'This row has no starts_at.','c5b17be25f1f71d508e12b8f09bb075176c5d9c171ad1ef760ea577cd913b773');
CREATE INDEX ix_scores_patient ON scores (patient);
CREATE INDEX ix_scores_appointment ON scores (appointment);
CREATE TRIGGER no_update BEFORE UPDATE ON scores BEGIN SELECT RAISE(ABORT, 'the scoring log is only ever added to'); END;
CREATE TRIGGER no_delete BEFORE DELETE ON scores BEGIN SELECT RAISE(ABORT, 'the scoring log is only ever added to'); END;
COMMIT;
