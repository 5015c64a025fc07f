"""From a trained model to text."""

from llmbook.generation.beam_search import Beams, beam_search
from llmbook.generation.generate import LanguageModel, generate, stream
from llmbook.generation.transcriber import Transcriber, load_transcriber, save_transcriber, transcribe
from llmbook.generation.translator import Translator, load_translator, save_translator

__all__ = [
    "Beams",
    "LanguageModel",
    "Transcriber",
    "Translator",
    "beam_search",
    "generate",
    "load_transcriber",
    "load_translator",
    "save_transcriber",
    "save_translator",
    "stream",
    "transcribe",
]
