"""From a scan to the model's grid, and the way back, exactly."""
