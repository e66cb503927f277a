// Who may import whom. Each rule says why it exists; a violation fails CI.
const lib = (names) => `^libs/(${names})/`;
const notSpecs = '\\.(spec|fixture)\\.ts$';

/** The rooms of libs/ and the other rooms each may import. docs/architecture.md has the map. */
const rooms = {
  contracts: [],
  service: ['contracts'],
  storage: ['contracts', 'service'],
  streaming: ['contracts', 'service'],
  corpora: ['contracts'],
  audio: ['contracts'],
  extraction: ['contracts', 'service', 'audio'],
  tensor: ['contracts'],
  paper: ['contracts', 'tensor'],
  baselines: ['contracts', 'tensor', 'paper'],
  'model-files': ['contracts', 'tensor', 'paper', 'baselines'],
  evaluation: ['contracts', 'storage'],
  index: ['contracts', 'service', 'storage', 'streaming', 'corpora', 'audio'],
  compaction: ['contracts', 'service', 'storage', 'streaming', 'audio', 'evaluation', 'index'],
  rounds: [
    ...['contracts', 'service', 'storage', 'streaming', 'corpora', 'audio'],
    ...['tensor', 'paper', 'baselines', 'model-files', 'evaluation', 'index'],
  ],
  serving: ['contracts', 'storage', 'streaming', 'audio', 'paper', 'model-files', 'evaluation', 'index', 'rounds'],
  overview: ['contracts', 'streaming', 'evaluation'],
  experiments: [
    ...['contracts', 'service', 'storage', 'streaming', 'corpora', 'audio', 'tensor', 'paper', 'baselines', 'model-files'],
    ...['evaluation', 'index', 'rounds'],
  ],
  stage: ['contracts', 'service', 'storage', 'streaming'],
  embedded: ['contracts', 'service'],
};
const roomRules = Object.entries(rooms).map(([room, others]) => ({
  name: `${room}-imports-its-neighbours-only`,
  severity: 'error',
  from: { path: lib(room), pathNot: notSpecs },
  to: { path: `^libs/(?!(${[room, ...others].join('|')})/)` },
}));

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    ...roomRules,
    {
      name: 'pure-rooms',
      comment: 'contracts, corpora and the mathematics of scores are pure: no framework, no I/O.',
      severity: 'error',
      from: {
        path: [
          lib('contracts|corpora'),
          '^libs/evaluation/src/(bootstrap|calibration|confusion|decide-promotion|holm|judging-rows|mean-deviation|paired-bootstrap|seeded-random)',
        ],
        pathNot: notSpecs,
      },
      to: { path: '', dependencyTypes: ['core'], pathNot: '^(node:)?(crypto|path)$' },
    },
    {
      name: 'contracts-know-zod-only',
      severity: 'error',
      from: { path: lib('contracts'), pathNot: notSpecs },
      to: { path: 'node_modules', pathNot: 'node_modules/zod/' },
    },
    {
      name: 'the-model-knows-tfjs',
      comment: 'The mathematics of the model knows tfjs, and neither files nor the network.',
      severity: 'error',
      from: { path: lib('tensor|paper|baselines|model-files'), pathNot: notSpecs },
      to: { path: ['^(node:)?(fs|net|http)', 'node_modules/(?!@tensorflow/|zod/|protobufjs/)'] },
    },
    {
      name: 'only-streaming-knows-kafkajs',
      severity: 'error',
      from: { pathNot: lib('streaming') + '|^test/' },
      to: { path: 'node_modules/kafkajs/' },
    },
    {
      name: 'only-storage-knows-the-aws-sdk',
      severity: 'error',
      from: { pathNot: lib('storage') + '|^test/' },
      to: { path: 'node_modules/@aws-sdk/' },
    },
    {
      name: 'only-service-knows-the-opentelemetry-sdk',
      comment: 'Others make spans by libs/service/src/spans.ts; contexts and headers are the API and W3C parsing of core.',
      severity: 'error',
      from: { pathNot: lib('service') + '|^test/|\\.spec\\.ts$' },
      to: { path: 'node_modules/@opentelemetry/(?!api/|core/)' },
    },
    {
      name: 'nest-in-apps-and-service-only',
      severity: 'error',
      from: { path: '^libs/(?!service/)' },
      to: { path: 'node_modules/@nestjs/' },
    },
    { name: 'libs-never-import-apps', severity: 'error', from: { path: '^libs/' }, to: { path: '^apps/' } },
    { name: 'apps-never-import-apps', severity: 'error', from: { path: '^apps/([^/]+)/' }, to: { path: '^apps/', pathNot: '^apps/$1/' } },
    { name: 'nothing-imports-tests', severity: 'error', from: { path: '^(apps|libs|scripts)/' }, to: { path: '^(test|bench)/' } },
  ],
  options: {
    doNotFollow: { path: ['node_modules', '^dist'] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { conditionNames: ['source', 'import', 'node', 'default', 'types'], exportsFields: ['exports'] },
  },
};
