"""``python -m benchmarks speed | accuracy | volume | readme``: see each module."""

import argparse


def main() -> None:
    """Run the measurement that is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    what = parser.add_subparsers(dest="what", required=True)
    volume = what.add_parser("volume", help="score a file of gigabytes: time, peak memory, kill -9")
    volume.add_argument("--gigabytes", type=float, default=5.0)
    volume.add_argument("--keep-in", help="the folder for the temporary files")
    options = vars(parser.parse_args())
    name = options.pop("what")
    if name == "volume":
        from benchmarks import volume as run
    run.main(**options)


if __name__ == "__main__":
    main()
