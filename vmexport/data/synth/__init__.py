"""A data set of films whose class is the order of two motions, made here from a seed."""

from vmexport.data.synth.make import SynthReport, SynthSettings, synthesize

__all__ = ["SynthReport", "SynthSettings", "synthesize"]
