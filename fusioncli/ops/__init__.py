"""Floor 2: stateless torch functions, NCHW: resampling, MTF filters, decimation."""
