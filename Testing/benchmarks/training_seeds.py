"""Networks of one training with several seeds, side by side: what is true of one network only, and what of all.

    python -m Testing.benchmarks.training_seeds --work WORK --test-brains 480 BUNDLE BUNDLE ... [--real SCAN ...]

WORK is the folder that `mri-interpret train --work` fills: it holds the banks of simulated brains over training
anatomies (val) and held-out ones (test). Prints a Markdown table; its last column is the range over the networks.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def numbers_of(bundle: Path, work: Path, brains: tuple[int, int], real: list[Path]) -> dict[str, tuple[float, str]]:
    """Row name to (value, text with its interval) of one network."""
    from mri_interpret.images.reading import read_scan
    from mri_interpret.metrics.classification import softmax
    from mri_interpret.models.bundle import load_bundle
    from mri_interpret.preprocessing.pipeline import preprocess
    from mri_interpret.simulation.anatomy import MODEL_GRID
    from mri_interpret.training.conditions import PLAIN, score
    from mri_interpret.training.evaluation import EVALUATION_SEED, assess
    from mri_interpret.training.samples import BankSamples

    network = load_bundle(bundle).network.eval()
    known = score(network, BankSamples(work / "val", brains[0], brains[0], EVALUATION_SEED, PLAIN, True))
    plain = score(
        network, BankSamples(work / "test", brains[1], brains[1], EVALUATION_SEED + 1, PLAIN, True), flipped=True
    )
    found = assess({"plain": plain}, known)
    estimates = {
        "AUC AD vs CN": found.aucs["plain"]["AD"],
        "AUC MCI vs CN": found.aucs["plain"]["MCI"],
        "AUC AD vs CN, volume alone": found.aucs["volume alone"]["AD"],
        "AUC MCI vs CN, volume alone": found.aucs["volume alone"]["MCI"],
        "accuracy, three classes": found.accuracy,
        "expected calibration error": found.calibration_error,
        "correlation of AD - CN with the hippocampal fraction": found.correlation,
        "change of the AD probability by a flip": found.flip_change,
    }
    rows = {name: (estimate.value, str(estimate)) for name, estimate in estimates.items()}
    for path in real:
        import torch

        image = preprocess(read_scan(path), MODEL_GRID).image
        with torch.no_grad():
            logits = network(torch.from_numpy(image.array.copy()).float()[None, None]).numpy()
        chance = float(softmax(logits, found.temperature)[0, -1])
        rows[f"AD probability of {path.name.split('.')[0]}"] = (chance, f"{chance:.3f}")
    return rows


def main() -> None:
    """Evaluate each bundle and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--validation-brains", type=int, default=96)
    parser.add_argument("--test-brains", type=int, default=399)
    parser.add_argument("--real", nargs="*", type=Path, default=[])
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    brains = (options.validation_brains, options.test_brains)
    columns = [numbers_of(bundle, options.work, brains, options.real) for bundle in options.bundles]
    print(f"{options.test_brains} simulated subjects over held-out anatomies; 95 % intervals over subjects.\n")
    print(f"| | {' | '.join(bundle.name for bundle in options.bundles)} | range |")
    print("|---" * (len(columns) + 2) + "|")
    for name in columns[0]:
        values = [column[name][0] for column in columns]
        texts = " | ".join(column[name][1] for column in columns)
        print(f"| {name} | {texts} | {min(values):.3f} to {max(values):.3f} |")


if __name__ == "__main__":
    main()
