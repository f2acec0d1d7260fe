"""Who is who: identifiers, the evidence that ties them together, and what follows from it."""
