"""Courses with nbgrader: configuration, gradebook, plug-ins, and the one way to grade a class."""
