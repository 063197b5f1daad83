/** The live display as lines of text: pure, so that what a terminal shows can be tested without one. */
import type { createColors } from 'picocolors';
import { formatDuration } from '../../../shared/duration.ts';
import { clip, pad } from './clip.ts';
import type { BuildView, StepView, TaskView } from './build-view.ts';

export interface Canvas {
  readonly columns: number;
  /** Lines that may be drawn; Infinity for the last drawing, which stays. */
  readonly rows: number;
  /** Milliseconds, of the clock that the view was fed with. */
  readonly now: number;
  readonly paint: ReturnType<typeof createColors>;
}

/** Lines of output shown under a step that runs, where there is room. */
const maxTail = 6;

const marks: Readonly<Record<StepView['status'], string>> = {
  started: '>',
  done: '✓',
  cached: '✓',
  failed: '✗',
  cancelled: '-',
};

/** Every platform with the steps that run now, or with all its steps when there is room without end. */
export function draw(view: BuildView, canvas: Canvas): string[] {
  const { tasks } = view;
  const footer = view.publishing === undefined ? [] : [`publishing: ${view.publishing}`];
  const headers = tasks.length + footer.length;
  const room = Math.max(0, Math.floor((canvas.rows - headers) / Math.max(1, tasks.length)));
  const lines = tasks.flatMap((task) => [
    ...headline(task, canvas),
    ...task.warnings
      .slice(-room)
      .map((warning) => indented(canvas.paint.yellow(`warning: ${warning}`), canvas)),
    ...steps(task, { room: Math.max(0, room - task.warnings.length), canvas }),
  ]);
  const all = [...lines, ...footer.map((line) => clip(line, canvas.columns))];
  // More platforms than lines: the first ones stay, and the count says what is missing.
  if (all.length <= canvas.rows) return all;
  const shown = all.slice(0, Math.max(0, canvas.rows - 1));
  return [...shown, clip(`… ${all.length - shown.length} more lines`, canvas.columns)];
}

function headline(task: TaskView, canvas: Canvas): string[] {
  const { paint } = canvas;
  const where = task.agent === undefined ? '' : ` on ${task.agent}`;
  const how = task.native === undefined ? '' : task.native ? ' (native)' : paint.yellow(' (emulated)');
  const why = task.reason === undefined ? '' : `: ${task.reason}`;
  const state =
    task.state === 'pushed'
      ? paint.green(task.state)
      : task.state === 'failed'
        ? paint.red(task.state)
        : task.state;
  const text = `${paint.bold(task.platform)} ${state}${where}${how}${pushed(task)}${why}`;
  return [withTime(text, (task.ended ?? canvas.now) - task.since, canvas)];
}

function pushed(task: TaskView): string {
  const layers = [...task.layers.values()];
  const total = layers.reduce((sum, layer) => sum + layer.total, 0);
  if (total === 0 || task.state !== 'running') return '';
  const current = layers.reduce((sum, layer) => sum + Math.min(layer.current, layer.total), 0);
  return `, pushing ${megabytes(current)} of ${megabytes(total)} MB`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

function steps(task: TaskView, { room, canvas }: { room: number; canvas: Canvas }): string[] {
  const all = [...task.steps.values()];
  if (room === Infinity) return all.map((step) => stepLine(step, canvas));
  const current = all.filter((step) => step.status === 'started' || step.status === 'failed');
  const shown = (current.length > 0 ? current : all).slice(-Math.max(1, Math.min(room, 8))).slice(0, room);
  const spare = room - shown.length;
  const tailEach = Math.min(maxTail, Math.floor(spare / Math.max(1, shown.length)));
  return shown.flatMap((step) => [
    stepLine(step, canvas),
    ...(tailEach === 0 ? [] : task.log.tail(step.id).slice(-tailEach)).map((line) =>
      indented(`  ${canvas.paint.dim('│')} ${line.replaceAll('\t', '    ')}`, canvas),
    ),
  ]);
}

function stepLine(step: StepView, canvas: Canvas): string {
  const { paint } = canvas;
  const cached = step.status === 'cached' ? paint.dim(' cached') : '';
  const text = `  ${marks[step.status]} ${step.title}${cached}`;
  const coloured = step.status === 'failed' ? paint.red(text) : text;
  return step.status === 'cached'
    ? clip(coloured, canvas.columns)
    : withTime(coloured, step.duration ?? canvas.now - step.since, canvas);
}

function indented(text: string, canvas: Canvas): string {
  return clip(`  ${text}`, canvas.columns);
}

/** The text from the left, the time at the right edge of at most 100 columns. */
function withTime(text: string, milliseconds: number, canvas: Canvas): string {
  const time = formatDuration(Math.max(0, milliseconds)).padStart(8);
  const width = Math.min(canvas.columns, 100) - time.length;
  return width < 10 ? clip(text, canvas.columns) : `${pad(clip(text, width), width)}${time}`;
}
