/** What agents and the coordinator say to each other, as far as it matters to the farm. */
import type { AgentFacts } from '../../coordinator/farm/events.ts';
import type { Outcome } from '../../shared/task.ts';

export type FromAgent =
  | {
      readonly type: 'hello';
      readonly facts: AgentFacts;
      readonly attempts: readonly string[];
      readonly state: AgentState;
    }
  | { readonly type: 'beat'; readonly state: AgentState }
  | { readonly type: 'accept' | 'decline'; readonly attempt: string }
  | { readonly type: 'progress'; readonly attempt: string; readonly frame: number }
  | {
      readonly type: 'report';
      readonly attempt: string;
      readonly lastFrame: number;
      readonly outcome: Outcome;
    };

export type ToAgent =
  | { readonly type: 'welcome' | 'beat' }
  | { readonly type: 'offer' | 'cancel' | 'settle'; readonly attempt: string }
  | { readonly type: 'acknowledge'; readonly attempt: string; readonly frame: number };

export type AgentState = 'ready' | 'cordoned';
