"""dev driver"""
import argparse, json, shutil, sys, tempfile, time
from collections import Counter
from pathlib import Path
from tests.faults import interposed_process, killed_states
from tests.faults.faulted_verbs import VERBS, FaultWorld, make_world, warm
import importlib

def base_of(name, world, folder):
    place = folder / "bases" / (name or "world")
    if not (place / "home").exists():
        if not name:
            place.mkdir(parents=True)
            shutil.copytree(world.home, place / "home"); (place / "out").mkdir()
        else:
            verb = VERBS[name]
            start = folder / "run"
            shutil.rmtree(start, ignore_errors=True)
            shutil.copytree(base_of(verb.before, world, folder), start)
            ended = interposed_process.ran(lambda: verb.work(world, start))
            assert ended.code in verb.codes, ended
            shutil.copytree(start, place)
    return place

def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("--verbs", nargs="*", default=list(VERBS))
    asked.add_argument("--world", type=Path)
    asked.add_argument("--states", type=int, default=10**9)
    asked.add_argument("--list", action="store_true")
    given = asked.parse_args()
    folder = given.world.resolve()
    if not interposed_process.is_loaded():
        interposed_process.restarted(interposed_process.interposer(folder))
    world = FaultWorld(folder)
    warm(world)
    work = folder / "work"
    for name in given.verbs:
        verb = VERBS[name]
        base = base_of(verb.before, world, work)
        run = work / "run"
        def fresh():
            shutil.rmtree(run, ignore_errors=True); shutil.copytree(base, run); verb.prepare(world, run)
        t = time.time()
        fresh(); known = killed_states.reference(verb, world, run)
        t1 = time.time()
        fresh(); states, ended = killed_states.all_states(verb, world, run, work / "states" / name)
        t2 = time.time()
        print(f"{name}: {len(states.points)} points, {len(states.raw)} raw, {len(states.first)} states; reference {t1-t:.1f} s, held {t2-t1:.1f} s, end {ended.code}", flush=True)
        kinds = Counter(p.kind for p in states.points); print("  ", dict(kinds))
        if given.list:
            for p in states.points: print("   ", p.number, p.kind, p.path.replace(str(run), ""))
        diff = {k: (len(known.old[k]), len(known.new[k]), len(known.again[k])) for k in known.old if known.old[k] != known.new[k] or known.new[k] != known.again[k]}
        print("   changes", diff)
        items = list(states.first.items())
        step = max(1, len(items) // given.states)
        seen = Counter()
        for digest, point in items[::step]:
            states.restore(digest)
            judged = killed_states.judge(verb, world, run, known)
            if not judged.is_good:
                key = str({k: [x[:160] for x in v] for k, v in vars(judged).items() if v})
                key = killed_states._RANDOM.sub("#", key)
                seen[key] += 1
                if seen[key] <= 1:
                    print("   BAD at", point.number, point.kind, point.path.replace(str(run), ""), key, flush=True)
        print(f"   judged in {time.time()-t2:.0f} s;", sum(seen.values()), "bad;", sorted(seen.values()), flush=True)

if __name__ == "__main__":
    main()
