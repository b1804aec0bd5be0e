"""What the service does: publish, check, deploy, score, stream. No HTTP, no Spark, no Kafka in here.

Everything that needs those is handed in through the Protocols of :mod:`wmlclient.runner.engine.ports`.
"""
