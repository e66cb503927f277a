/** The services of the image, each with its default port and the variable that changes it. */
const services = {
  evaluator: { variable: 'EVALUATOR_PORT', port: 7400 },
  ingest: { variable: 'INGEST_PORT', port: 7401 },
  features: { variable: 'FEATURES_PORT', port: 7402 },
  trainer: { variable: 'TRAINER_PORT', port: 7403 },
  predictor: { variable: 'PREDICTOR_PORT', port: 7404 },
};

export const serviceNamed = (name) => (Object.hasOwn(services, name ?? '') ? services[name] : undefined);
