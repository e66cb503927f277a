// Prints a line for each score of a model and each decision on a champion: first all existing ones, then new ones.
// Node 22.18 or later: `npm install kafkajs`, then `KAFKA_BROKERS=127.0.0.1:19092 node consume-evaluations.ts`.
// docs/asyncapi.yaml describes the records, under evaluations and promotions.
import kafkajs from 'kafkajs';

const { KAFKA_BROKERS = '127.0.0.1:19092', TOPIC_PREFIX = 'undertone' } = process.env;
const kafka = new kafkajs.Kafka({ clientId: 'example', brokers: KAFKA_BROKERS.split(','), logLevel: kafkajs.logLevel.ERROR });
const consumer = kafka.consumer({ groupId: `consume-evaluations-${process.pid}` }); // a constant group name would resume at the last commit
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

await consumer.connect();
await consumer.subscribe({ topics: ['evaluations', 'promotions'].map((noun) => `${TOPIC_PREFIX}.${noun}.v1`), fromBeginning: true });
await consumer.run({
  eachMessage: async ({ message }) => {
    if (message.value === null) return; // a tombstone
    const fact = JSON.parse(message.value.toString());
    if (fact.type === 'ModelPromoted')
      console.log(`champion ${fact.number} of ${fact.target}: ${fact.challenger.runId}/${fact.challenger.step}. ${fact.why}`);
    else if (fact.type === 'ModelRejected')
      console.log(`not the champion of ${fact.target}: ${fact.challenger.runId}/${fact.challenger.step}. ${fact.why}`);
    else console.log(`${fact.runId}/${fact.step} ${fact.task} ${fact.split}: UA ${percent(fact.ua)}, WA ${percent(fact.wa)}, n ${fact.n}`);
  },
});
