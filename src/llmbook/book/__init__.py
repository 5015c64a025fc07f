"""The bilingual source of a chapter, and what is checked of it."""
