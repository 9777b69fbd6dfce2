"""``python -m benchmarks verify | build | startup | instructions | volume | cluster | large | gpu | ptx | toll | training | shipped | torch_samples | scipy_tests | planted | coverage | calibrators | regression | conformance | readme | speed | misses | hostile``: see each module."""

import argparse
import importlib


def main() -> None:
    """Run the measurement that is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    what = parser.add_subparsers(dest="what", required=True)
    verify = what.add_parser("verify", help="prove the accuracy, over every float32 there is")
    verify.add_argument("--thin", type=int, default=1, metavar="N", help="one input in N, and write nothing")
    verify.add_argument("--peers", action="store_true", help="let the installed peers go through the same")
    verify.add_argument(
        "--only", default="", metavar="NAME", help="the functions with this in their names, and their lines of the page"
    )
    what.add_parser("build", help="build from a clean clone: seconds, and those of all cores together")
    startup = what.add_parser(
        "startup", help="what the import, the command and an installation take, for docs/howto/install.md"
    )
    startup.add_argument("--wheel", metavar="FILE", help="install this one too")
    instructions = what.add_parser("instructions", help="compare the kernels' instruction counts with those recorded")
    instructions.add_argument("--record", action="store_true", help="record them instead")
    volume = what.add_parser("volume", help="score a file of gigabytes: time, peak memory, kill -9")
    volume.add_argument("--gigabytes", type=float, default=5.0)
    volume.add_argument("--keep-in", help="the folder for the temporary files")
    cluster = what.add_parser("cluster", help="kill a worker in the middle of a run on a Dask cluster")
    cluster.add_argument("--gigabytes", type=float, default=0.5)
    what.add_parser("gpu", help="PyTorch tensors on a GPU: digits beside the core, speed beside PyTorch")
    ptx = what.add_parser(
        "ptx", help="compile the GPU's kernels without a GPU: registers and spills beside those recorded"
    )
    ptx.add_argument("--record", action="store_true", help="record them instead")
    ptx.add_argument("--only", default="", metavar="NAME", help="the kernels with this in their names")
    toll = what.add_parser("toll", help="what a call costs beside PyTorch's, JAX's and SciPy's, for docs/speed.md")
    toll.add_argument("--level", default="")
    toll.add_argument("--threads", type=int, default=0, help="measure with these alone and print them as JSON")
    what.add_parser("large", help="arrays beyond the caches, beside a plain copy")
    training = what.add_parser("training", help="train on the digits with torch's loss and with ours")
    training.add_argument("--epochs", type=int, default=60)
    what.add_parser("shipped", help="torch_samples, scipy_tests and planted: what ships inside the peers")
    what.add_parser("torch_samples", help="PyTorch's own samples of modules and functions against sigmax")
    what.add_parser(
        "scipy_tests", help="SciPy's own tests on sigmax.special, on the arrays of every library that is installed"
    )
    what.add_parser("planted", help="NumPy's and scikit-learn's own tests with sigmax in them")
    coverage = what.add_parser("coverage", help="how often the interval of the calibration error holds the truth")
    coverage.add_argument("--draws", type=int, default=1000)
    calibrators = what.add_parser("calibrators", help="calibrators side by side, on scores that packages ship")
    calibrators.add_argument("--sizes", type=int, nargs="+", default=(100, 300, 1000, 0), help="rows to fit to; 0: all")
    calibrators.add_argument(
        "--sets", default="", metavar="NAME", help="the sets with this in their names; writes nothing"
    )
    calibrators.add_argument("--only-speed", action="store_true", help="only how long fits take")
    regression = what.add_parser(
        "regression", help="fits side by side with scikit-learn, glum and snapml, and from a Parquet file"
    )
    regression.add_argument("--rounds", type=int, default=3)
    regression.add_argument("--parquet", type=int, default=10_000_000, metavar="ROWS", help="of the file; 0: none")
    conformance = what.add_parser(
        "conformance", help="run the contract's cases on every library, for docs/conformance.md"
    )
    conformance.add_argument("--column", dest="only", default="", help="of one library, printed as JSON")
    hostile = what.add_parser("hostile", help="give damaged score files to the command")
    hostile.add_argument("--files", type=int, default=1000, help="of each format")
    hostile.add_argument("--seed", type=int, default=0)
    what.add_parser("readme", help="measure speed and accuracy and write the README's tables")
    what.add_parser("misses", help="write the cells of docs/speed.md that miss a bar under their reasons")
    speed = what.add_parser("speed", help="the cells of `sigmax bench` as JSON, for readme")
    speed.add_argument("--level", default="")
    speed.add_argument("--threads", type=int, default=1)
    speed.add_argument("--rounds", type=int, default=15)
    options = vars(parser.parse_args())
    if "sizes" in options:
        options["sizes"] = tuple(options["sizes"])
    importlib.import_module(f"benchmarks.{options.pop('what')}").main(**options)


if __name__ == "__main__":
    main()
