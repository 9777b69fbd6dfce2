"""How far the probabilities of a classifier can be trusted, and what makes them true."""

from sigmax.calibration.calibrator import Calibrator
from sigmax.calibration.cells import Cells
from sigmax.calibration.cross_fitted import calibrate
from sigmax.calibration.error import CalibrationError, calibration_error
from sigmax.calibration.evidence import Evidence, measure
from sigmax.calibration.hypothesis import CalibrationTest, calibration_test
from sigmax.calibration.model import CalibratedModel
from sigmax.calibration.reliability import (
    Reliability,
    bin_of,
    confidence_of,
    from_counts,
    reliability,
    wilson_interval,
)

__all__ = [
    "CalibratedModel",
    "CalibrationError",
    "CalibrationTest",
    "Calibrator",
    "Cells",
    "Evidence",
    "Reliability",
    "bin_of",
    "calibrate",
    "calibration_error",
    "calibration_test",
    "confidence_of",
    "from_counts",
    "measure",
    "reliability",
    "wilson_interval",
]
