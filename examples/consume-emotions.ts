// Prints the emotion of each recording, first of all existing ones, then of new ones, and says when a recording is deleted.
// Node 22.18 or later: `npm install kafkajs`, then `KAFKA_BROKERS=127.0.0.1:19092 node consume-emotions.ts`.
// docs/serving.md explains the numbers.
import kafkajs from 'kafkajs';

const { KAFKA_BROKERS = '127.0.0.1:19092', TOPIC_PREFIX = 'undertone' } = process.env;
const kafka = new kafkajs.Kafka({ clientId: 'example', brokers: KAFKA_BROKERS.split(','), logLevel: kafkajs.logLevel.ERROR });
const consumer = kafka.consumer({ groupId: `consume-emotions-${process.pid}` }); // a constant group name would resume at the last commit

await consumer.connect();
await consumer.subscribe({ topic: `${TOPIC_PREFIX}.emotions.v1`, fromBeginning: true });
await consumer.run({
  eachMessage: async ({ message }) => {
    if (message.value === null) return console.log(`${message.key} deleted`);
    const { utteranceId, model, probabilities, tiles } = JSON.parse(message.value.toString());
    const [[name, share]] = Object.entries<number>(probabilities[model.target]).sort(([, a], [, b]) => b - a) as [[string, number]];
    console.log(`${utteranceId} ${name} ${(share * 100).toFixed(1)} %, ${tiles.length} tiles, by ${model.runId}/${model.step}`);
  },
});
