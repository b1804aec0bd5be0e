"""Streams without a JVM: consumer group, native scorer, Kafka transaction, in worker processes of their own.

The parent side (``engine``, ``process``) imports neither the scorer nor a Kafka client; the worker side (``worker``
and what it uses) runs in a process of its own.
"""
