// Contrast
