"""Costs on paper and measurements. Nothing is imported here: the parts need different extras."""
