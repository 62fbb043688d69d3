"""The version of WVR and of its messages and files."""

VERSION = "0.2.0"
