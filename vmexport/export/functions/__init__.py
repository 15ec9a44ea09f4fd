"""Bodies of standard operators for our two operators, one module an operator."""
