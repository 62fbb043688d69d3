"""Readings in tables of any form: headers in English and Korean, units, dates and numbers as people write them."""
