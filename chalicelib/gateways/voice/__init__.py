"""Other people's calls: one file a voice platform, each with the contract that `delivery.py` describes."""

from chalicelib.domain.accounts import Provider
from chalicelib.gateways.voice import cloudevents, elevenlabs, retell, twilio, vapi
from chalicelib.gateways.voice.delivery import Adapter

ADAPTERS: dict[Provider, Adapter] = {
    Provider.CLOUDEVENTS: cloudevents,
    Provider.VAPI: vapi,
    Provider.RETELL: retell,
    Provider.ELEVENLABS: elevenlabs,
    Provider.TWILIO: twilio,
}
