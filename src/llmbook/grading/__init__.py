"""From release to grades: the judge, the sandbox, nbgrader."""
