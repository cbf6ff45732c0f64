"""The two kinds of models: what callers send, and what they get."""

from pydantic import BaseModel, ConfigDict


class RequestModel(BaseModel):
    """What a caller sends: no unknown fields, no guessed types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class AnswerModel(BaseModel):
    """What a caller gets: exactly these fields, so that nothing else can slip out."""

    model_config = ConfigDict(extra="forbid")
