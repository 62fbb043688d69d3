"""Notifier: tells people about incidents and failed services, by apprise or a webhook."""
