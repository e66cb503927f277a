# Prints the emotion of each recording, first of all existing ones, then of new ones, and says when a recording is deleted.
# `pip install -r requirements.txt`, then `KAFKA_BROKERS=127.0.0.1:19092 python3 consume-emotions.py`.
# docs/serving.md explains the numbers.
import json
import os

from kafka import KafkaConsumer

brokers = os.environ.get("KAFKA_BROKERS", "127.0.0.1:19092").split(",")
topic = f"{os.environ.get('TOPIC_PREFIX', 'undertone')}.emotions.v1"
# Without a group the consumer commits nothing, so every start begins at the first record.
for record in KafkaConsumer(topic, bootstrap_servers=brokers, auto_offset_reset="earliest"):
    if record.value is None:  # a tombstone
        print(f"{record.key.decode()} deleted", flush=True)
        continue
    score = json.loads(record.value)
    shares, model = score["probabilities"][score["model"]["target"]], score["model"]
    name = max(shares, key=shares.get)
    print(f"{score['utteranceId']} {name} {shares[name] * 100:.1f} %, {len(score['tiles'])} tiles, by {model['runId']}/{model['step']}", flush=True)
