import { Module } from '@nestjs/common';
import { CompactCommand } from './commands/compact.command.js';
import { DemoCommand } from './commands/demo.command.js';
import { ExperimentCommand } from './commands/experiment.command.js';
import { ExportLatentsCommand } from './commands/export-latents.command.js';
import { ExportModelCommand } from './commands/export-model.command.js';
import { ExportCommand } from './commands/export.command.js';
import { FeaturesCommand } from './commands/features.command.js';
import { LineageCommand } from './commands/lineage.command.js';
import { ModelCardCommand } from './commands/model-card.command.js';
import { ModelsCommand } from './commands/models.command.js';
import { PredictCommand } from './commands/predict.command.js';
import { PromoteCommand } from './commands/promote.command.js';
import { PutCommand } from './commands/put.command.js';
import { ReplayCommand } from './commands/replay.command.js';
import { ReprocessCommand } from './commands/reprocess.command.js';
import { ResetCommand } from './commands/reset.command.js';
import { RollbackCommand } from './commands/rollback.command.js';
import { SetupCommand } from './commands/setup.command.js';
import { StatusCommand } from './commands/status.command.js';
import { TrainCommand } from './commands/train.command.js';
import { UpCommand } from './commands/up.command.js';
import { VerifyCommand } from './commands/verify.command.js';

@Module({
  providers: [
    DemoCommand,
    UpCommand,
    PutCommand,
    TrainCommand,
    ExperimentCommand,
    FeaturesCommand,
    ExportCommand,
    ExportModelCommand,
    ExportLatentsCommand,
    StatusCommand,
    VerifyCommand,
    ReplayCommand,
    ReprocessCommand,
    LineageCommand,
    ModelsCommand,
    ModelCardCommand,
    PromoteCommand,
    RollbackCommand,
    CompactCommand,
    PredictCommand,
    ResetCommand,
    SetupCommand,
  ],
})
export class CliModule {}
