"""The paper's comparison of methods, on drawn shoes or on images of files."""
