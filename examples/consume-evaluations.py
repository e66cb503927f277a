# Prints a line for each score of a model and each decision on a champion: first all existing ones, then new ones.
# `pip install -r requirements.txt`, then `KAFKA_BROKERS=127.0.0.1:19092 python3 consume-evaluations.py`.
# docs/asyncapi.yaml describes the records, under evaluations and promotions.
import json
import os

from kafka import KafkaConsumer

brokers = os.environ.get("KAFKA_BROKERS", "127.0.0.1:19092").split(",")
prefix = os.environ.get("TOPIC_PREFIX", "undertone")
# Without a group the consumer commits nothing, so every start begins at the first record.
consumer = KafkaConsumer(f"{prefix}.evaluations.v1", f"{prefix}.promotions.v1", bootstrap_servers=brokers, auto_offset_reset="earliest")

for record in consumer:
    if record.value is None:  # a tombstone
        continue
    fact = json.loads(record.value)
    if fact.get("type") == "ModelPromoted":
        print(f"champion {fact['number']} of {fact['target']}: {fact['challenger']['runId']}/{fact['challenger']['step']}. {fact['why']}", flush=True)
    elif fact.get("type") == "ModelRejected":
        print(f"not the champion of {fact['target']}: {fact['challenger']['runId']}/{fact['challenger']['step']}. {fact['why']}", flush=True)
    else:
        print(f"{fact['runId']}/{fact['step']} {fact['task']} {fact['split']}: UA {fact['ua']:.1%}, WA {fact['wa']:.1%}, n {fact['n']}".replace("%", " %"), flush=True)
