"""From the source to notebooks: two faces, two languages."""
