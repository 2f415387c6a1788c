"""The paper's comparison of methods, on drawn shoes."""
