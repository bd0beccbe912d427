"""When two names mean the same thing: of recipes, and of an ingredient in a recipe and in a flask."""

import unicodedata


def same_name(text: str) -> str:
    """The form that all spellings of a name share: without regard to case, width, accents' encoding or extra spaces."""
    # Folding can undo the composition (and the other way round), so both are done until they agree.
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).casefold().split())
