// Who may import whom. Each rule says why it exists; a violation fails CI.
const lib = (names) => `^libs/(${names})/`;
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'pure-libs',
      comment: 'contracts, corpora and scoring are pure: no framework, no I/O.',
      severity: 'error',
      from: { path: lib('contracts|corpora|scoring'), pathNot: '\\.spec\\.ts$' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(crypto|path)$' },
    },
    {
      name: 'contracts-know-zod-only',
      severity: 'error',
      from: { path: lib('contracts'), pathNot: '\\.spec\\.ts$' },
      to: { path: 'node_modules', pathNot: 'node_modules/zod/' },
    },
    { name: 'contracts-import-no-lib', severity: 'error', from: { path: lib('contracts') }, to: { path: lib('(?!contracts)[a-z]+') } },
    {
      name: 'model-knows-tfjs-and-contracts',
      severity: 'error',
      from: { path: lib('model'), pathNot: '\\.spec\\.ts$' },
      to: { path: ['^libs/(?!model|contracts)', '^(node:)?(fs|net|http)', 'node_modules/(?!@tensorflow/|zod/|protobufjs/)'] },
    },
    {
      name: 'edges-import-contracts-and-service',
      comment: 'streaming and storage import contracts and service only.',
      severity: 'error',
      from: { path: lib('streaming|storage') },
      to: { path: '^libs/(?!streaming|storage|contracts|service)' },
    },
    { name: 'storage-and-streaming-stay-apart', severity: 'error', from: { path: lib('storage') }, to: { path: lib('streaming') } },
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
