/**
 * Runs a real S3 server for `npm start` and the tests: SeaweedFS's `weed mini` (master, volume, filer and S3 in one process).
 *
 * Conditional put, multipart, ranges, copy and checksums work as in S3. The bucket notifications of the S3 API are absent.
 * Instead, the filer posts JSON to a webhook (`webhookUrl`).
 *
 * Delivery of these events: at most once. Observed with 4.48: if the receiver refuses the connection, the filer drops the event at
 * once and ignores `max_retries`. A put never waits for the receiver. Events are hints; the listing is the truth.
 *
 * Configuration: `weed` searches notification.toml and security.toml in its working directory, then in ~/.seaweedfs and
 * /etc/seaweedfs. It runs in `dataDir` with our files, and HOME points there, so that no file of the user interferes. It reads the
 * files once, at start.
 *
 * Access: S3 requires keys. By default the filer would list, write and delete every bucket for anybody, even for a web page, and
 * a GET request to the master would delete a bucket. `-disableHttp` leaves both with gRPC only. The volume server requires
 * signatures by keys that are new at each start. Only the owner may read the folder. One gap remains: gRPC requires no keys from
 * other users of this machine. Web pages cannot use gRPC.
 * Not for production: one copy, no TLS, loopback only.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { PipelineError } from '#contracts/pipeline-error.js';
import { makePrivateFolder, writePrivateFile } from './private-folder.js';
import { ServerProcess, type NamedPort } from './server-process.js';

/** Every port that `weed mini` binds. Take ten from `freePorts`, or choose `s3` and take the other nine. */
export interface SeaweedfsPorts {
  s3: number;
  s3Grpc: number;
  master: number;
  masterGrpc: number;
  volume: number;
  volumeGrpc: number;
  filer: number;
  filerGrpc: number;
  admin: number;
  adminGrpc: number;
}

export interface EmbeddedS3Options {
  /** The `weed` binary, from `provisionSeaweedfs`. */
  weed: string;
  /** The server's folder with `objects/`, `weed.log` and its configuration. Made if absent. Keep it to keep the objects. */
  dataDir: string;
  ports: SeaweedfsPorts;
  /** The variable that moves `ports.s3`. The error `PORT_IN_USE` names it. */
  portVariable?: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** POST target of filer events, about 0.4 s after a put. Start the receiver first, because undeliverable events are dropped. */
  webhookUrl?: string;
  /** Sent as `Authorization: Bearer …` with each event. */
  webhookBearerToken?: string;
  /** Buckets whose events are posted. Default: all. */
  webhookBuckets?: string[];
  onUnexpectedExit?: (reason: string) => void;
}

/** `[n0 … n9]` of `freePorts(10)` by name. @throws PipelineError `SETUP_FAILED` if there are fewer than ten. */
export function seaweedfsPorts(ports: number[]): SeaweedfsPorts {
  const [s3, s3Grpc, master, masterGrpc, volume, volumeGrpc, filer, filerGrpc, admin, adminGrpc] = ports;
  if (adminGrpc === undefined) throw new PipelineError('SETUP_FAILED', 'SeaweedFS needs ten ports');
  return { s3, s3Grpc, master, masterGrpc, volume, volumeGrpc, filer, filerGrpc, admin, adminGrpc } as SeaweedfsPorts;
}

export class EmbeddedS3 {
  private readonly server: ServerProcess;
  readonly logFile: string;

  constructor(private readonly options: EmbeddedS3Options) {
    const { dataDir, onUnexpectedExit } = options;
    this.logFile = join(dataDir, 'weed.log');
    this.server = new ServerProcess({ name: 'SeaweedFS', dataDir, logFile: this.logFile, onUnexpectedExit });
  }

  /** The URL for S3_ENDPOINT, with path-style addressing and any region. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.options.ports.s3}`;
  }

  get pid(): number | undefined {
    return this.server.pid;
  }

  get isRunning(): boolean {
    return this.server.isRunning;
  }

  /**
   * Resolves with the elapsed milliseconds once the S3 port answers HTTP. You may call it again after `stop()`, `kill()` or a crash.
   * @throws PipelineError `PORT_IN_USE`, `DISK_FULL`, `SETUP_FAILED`.
   */
  async start({ timeoutMs = 60_000 }: { timeoutMs?: number } = {}): Promise<number> {
    const { weed, dataDir, accessKeyId, secretAccessKey } = this.options;
    makePrivateFolder(dataDir);
    makePrivateFolder(join(dataDir, 'objects'));
    await this.server.claim(this.namedPorts());
    writePrivateFile(join(dataDir, 'notification.toml'), notificationToml(this.options));
    writePrivateFile(join(dataDir, 'security.toml'), securityToml());
    return this.server.launch({
      command: weed,
      args: ['-logtostderr=true', 'mini', ...this.flags()],
      env: { ...process.env, HOME: dataDir, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
      probe: () => this.probe(),
      timeoutMs,
    });
  }

  /** Sends SIGTERM, then SIGKILL after `graceMs`; takes about 4 s. Resolves with the elapsed milliseconds. */
  async stop({ graceMs = 10_000 }: { graceMs?: number } = {}): Promise<number> {
    return this.server.stop({ graceMs });
  }

  /** Sends SIGKILL, for tests of crashes. */
  async kill(): Promise<void> {
    await this.server.stop({ graceMs: 0 });
  }

  private namedPorts(): NamedPort[] {
    const { ports, portVariable } = this.options;
    return Object.entries(ports).map(([use, port]) =>
      use === 's3' ? { port: Number(port), use: 'S3', variable: portVariable } : { port: Number(port), use: `SeaweedFS (${use})` },
    );
  }

  private flags(): string[] {
    const { ports, dataDir } = this.options;
    return [
      `-dir=${join(dataDir, 'objects')}`,
      '-ip=127.0.0.1',
      '-ip.bind=127.0.0.1',
      '-disableHttp',
      '-filer.disableDirListing',
      `-filer.allowedOrigins=${this.endpoint}`,
      `-s3.allowedOrigins=${this.endpoint}`,
      // Disables the API for users, keys and roles on the S3 port, because the one key pair is enough.
      '-s3.iam=false',
      `-s3.port=${ports.s3}`,
      `-s3.port.grpc=${ports.s3Grpc}`,
      '-s3.port.iceberg=0',
      '-s3.port.lance=0',
      `-master.port=${ports.master}`,
      `-master.port.grpc=${ports.masterGrpc}`,
      // Each bucket has volumes of its own. The number of volumes is limited to those that fit the free disk at full size. With the
      // default size of 1 GB a large disk had 60 volumes, and the next bucket accepted no object.
      '-master.volumeSizeLimitMB=128',
      `-volume.port=${ports.volume}`,
      `-volume.port.grpc=${ports.volumeGrpc}`,
      `-filer.port=${ports.filer}`,
      `-filer.port.grpc=${ports.filerGrpc}`,
      `-admin.port=${ports.admin}`,
      `-admin.port.grpc=${ports.adminGrpc}`,
      '-admin.ui=false',
      '-webdav=false',
    ];
  }

  /** Sends an unsigned GET. An S3 error means that S3 and its filer are ready; 5xx means that they are not ready yet. */
  private async probe(): Promise<void> {
    const response = await fetch(this.endpoint, { signal: AbortSignal.timeout(1_000) });
    const body = await response.text();
    if (response.status >= 500 || !body.includes('<')) throw new Error(`status ${response.status}`);
  }
}

/** Writes `notification.toml` of the filer: the webhook for events, or none. */
function notificationToml({ webhookUrl, webhookBearerToken, webhookBuckets }: EmbeddedS3Options): string {
  if (webhookUrl === undefined) return '[notification.webhook]\nenabled = false\n';
  const prefixes = webhookBuckets?.map((bucket) => `/buckets/${bucket}/`);
  const lines = [
    '[notification.webhook]',
    'enabled = true',
    `endpoint = ${JSON.stringify(webhookUrl)}`,
    `bearer_token = ${JSON.stringify(webhookBearerToken ?? '')}`,
    'event_types = ["create", "update", "delete", "rename"]',
    'timeout_seconds = 10',
    'workers = 5',
    'buffer_size = 10000',
  ];
  if (prefixes) lines.push(`path_prefixes = ${JSON.stringify(prefixes)}`);
  return `${lines.join('\n')}\n`;
}

/** Writes `security.toml`: without these keys nobody can read or write by HTTP past S3. */
function securityToml(): string {
  const sections = ['jwt.signing', 'jwt.signing.read', 'jwt.filer_signing', 'jwt.filer_signing.read'];
  const keys = sections.map((section) => `[${section}]\nkey = "${randomBytes(32).toString('hex')}"\nexpires_after_seconds = 60\n`);
  return [...keys, '[access]\nui = false\n', '[filer.expose_directory_metadata]\nenabled = false\n'].join('\n');
}
