"""Classical pieces of registration: features of points, matches and solvers."""
