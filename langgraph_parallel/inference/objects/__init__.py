"""Live objects and objects of known class: what they hold and what touching them runs."""
