/**
 * Starts Kafka and an S3 server as containers: KAFKA_IMAGE (apache/kafka, or an image that starts like it) and S3_IMAGE
 * (SeaweedFS). The store publishes its events into Kafka.
 */
import { GenericContainer, Wait, getContainerRuntimeClient, type StartedNetwork, type StartedTestContainer } from 'testcontainers';
import { freePorts } from '#embedded/free-ports.js';

const kafkaImage = process.env['KAFKA_IMAGE'] ?? 'apache/kafka:4.1.0';
const s3Image = process.env['S3_IMAGE'] ?? 'chrislusf/seaweedfs:4.48';
const startupTimeoutMs = 180_000;

export interface StartedKafka {
  container: StartedTestContainer;
  /** The value of KAFKA_BROKERS outside the network. Inside it is `kafka:9092`. */
  brokers: string;
}

/** The port is chosen here and not by the engine, because the broker must advertise it to its clients. */
export async function startKafka(network: StartedNetwork): Promise<StartedKafka> {
  const [port = 0] = await freePorts(1);
  const { host } = (await getContainerRuntimeClient()).info.containerRuntime;
  const container = await new GenericContainer(kafkaImage)
    .withNetwork(network)
    .withNetworkAliases('kafka')
    .withExposedPorts({ container: 9094, host: port })
    .withEnvironment({
      CLUSTER_ID: '4L6g3nShT-eMCtK--X86sw',
      KAFKA_NODE_ID: '1',
      KAFKA_PROCESS_ROLES: 'broker,controller',
      KAFKA_LISTENERS: 'INTERNAL://:9092,HOST://:9094,CONTROLLER://:9093',
      KAFKA_ADVERTISED_LISTENERS: `INTERNAL://kafka:9092,HOST://${host}:${port}`,
      KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'INTERNAL:PLAINTEXT,HOST:PLAINTEXT,CONTROLLER:PLAINTEXT',
      KAFKA_INTER_BROKER_LISTENER_NAME: 'INTERNAL',
      KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
      KAFKA_CONTROLLER_QUORUM_VOTERS: '1@localhost:9093',
      KAFKA_LOG_DIRS: '/var/lib/kafka/data',
      KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
      KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '1',
      KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: '1',
      KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: '1',
      KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
    })
    .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
    .withStartupTimeout(startupTimeoutMs)
    .start();
  return { container, brokers: `${host}:${port}` };
}

export interface StoreOptions {
  accessKeyId: string;
  secretAccessKey: string;
  /** The topic for its events. The broker has to run. */
  eventTopic: string;
}

export async function startS3(
  network: StartedNetwork,
  options: StoreOptions,
): Promise<{ container: StartedTestContainer; endpoint: string }> {
  const container = await new GenericContainer(s3Image)
    .withNetwork(network)
    .withExposedPorts(8333)
    .withEntrypoint(['weed', '-logtostderr=true', 'mini'])
    .withCommand(['-dir=/data', '-ip=127.0.0.1', '-ip.bind=0.0.0.0', '-s3.port.iceberg=0', '-s3.port.lance=0', '-webdav=false'])
    .withEnvironment({
      AWS_ACCESS_KEY_ID: options.accessKeyId,
      AWS_SECRET_ACCESS_KEY: options.secretAccessKey,
      WEED_NOTIFICATION_KAFKA_ENABLED: 'true',
      WEED_NOTIFICATION_KAFKA_HOSTS: 'kafka:9092',
      WEED_NOTIFICATION_KAFKA_TOPIC: options.eventTopic,
    })
    .withWaitStrategy(Wait.forHttp('/healthz', 8333))
    .withStartupTimeout(startupTimeoutMs)
    .start();
  return { container, endpoint: `http://${container.getHost()}:${container.getMappedPort(8333)}` };
}
