"""Rebill. The folder is the floor, and imports run downwards only: web, flows, storage and gateways, domain."""
