"""The voice platforms, pretended: one file each, with the contract that `call.py` describes."""

from local.voice_platform import cloudevents, elevenlabs, retell, twilio, vapi
from local.voice_platform.call import Platform

PLATFORMS: dict[str, Platform] = {
    "vapi": vapi,
    "retell": retell,
    "elevenlabs": elevenlabs,
    "twilio": twilio,
    "cloudevents": cloudevents,
}
