"""Recommendations for everybody against implicit."""
import json

from cases.als import dump, matrix
from harness import CACHE, THREADS, Paced, apus, case, devices, in_turns, timed, version


def read_model(path):
    """The tensors of a safetensors file."""
    import numpy as np
    types = {"F32": np.float32, "I32": np.int32, "I64": np.int64, "U8": np.uint8}
    bytes = path.read_bytes()
    start = 8 + int.from_bytes(bytes[:8], "little")
    header = json.loads(bytes[8:start])
    header.pop("__metadata__", None)
    return {name: np.frombuffer(bytes[start + t["data_offsets"][0]:start + t["data_offsets"][1]],
                                types[t["dtype"]]).reshape(t["shape"]) for name, t in header.items()}


@case("recommend", "Recommendation", "Ten items for each of all users")
def recommend(record):
    """The factors (d = 64) of one model, trained by Apus on 8 million interactions, in both programs: from factors to
    lists of items and scores in memory, items already seen left out. Tables are on the device beforehand."""
    import numpy as np
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits
    folder = dump()
    path = CACHE / "recommend.apus"
    apus("train", "als", "--interactions", folder / "train.csv", "--factors", 64, "--iterations", 8, "--confidence",
         "constant", "--split", "none", "--device", "cpu", "--seed", 42, "--output", path, "--quiet", "--json")
    tensors = read_model(path)

    def identifiers(role):
        text, offsets = tensors[f"{role}.bytes"].tobytes(), tensors[f"{role}.offsets"]
        return np.array([int(text[a:b]) for a, b in zip(offsets[:-1], offsets[1:])])
    users, items = identifiers("users"), identifiers("items")
    seen = matrix(folder / "train.csv")[users][:, items].tocsr()
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(factors=64, num_threads=THREADS)
    model.user_factors, model.item_factors = tensors["user_factors"], tensors["item_factors"]
    everyone = np.arange(len(users))
    answer = {}

    def peer():
        with threadpool_limits(THREADS, "blas"):
            answer["top"] = model.recommend(everyone, seen, N=10, filter_already_liked_items=True)
    peer()
    paced = Paced("recommend", "--model", path, "--count", 10, devices=devices())
    theirs = in_turns(timed(peer), paced.round, record=record)[0]
    seconds = paced.seconds
    record.speed(f"{len(users)} users, {len(items)} items", seconds["cpu"], theirs, version("implicit"), target=3.0)
    for device in paced.devices[1:]:
        record.speed(f"{len(users)} users, {len(items)} items", seconds[device], seconds["cpu"], "our CPU device",
                     device=device)
    record.details["differing"] = {x["device"]: x["max_deviation"] for x in paced.result["cases"]}
    # The same lists? Every hundredth user is looked up through the command.
    sample = everyone[::100]
    lists = apus("recommend", "--model", path, "--user", ",".join(str(users[u]) for u in sample), "--count", 10,
                 "--device", "cpu", "--quiet", "--json")["users"]
    place = {name: at for at, name in enumerate(items)}
    same = [len({place[int(r["item"])] for r in a["recommendations"]} & set(answer["top"][0][u].tolist()))
            for u, a in zip(sample, lists)]
    record.quality("items in common with the peer's lists, of 10", sum(same) / len(same), 10.0, version("implicit"),
                   tolerance=0.01)
    path.unlink()
