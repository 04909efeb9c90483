/** One running server for all folders of the window, and the protocol with it. Decides nothing about completions. */

import { workspace, type Disposable, type LogOutputChannel } from 'vscode'
import {
  DidChangeConfigurationNotification,
  ExecuteCommandRequest,
  LanguageClient,
  RevealOutputChannelOn,
  State,
  type CancellationToken,
  type MessageSignature,
  type StaticFeature,
} from 'vscode-languageclient/node'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

import { chosen, SECTION } from './settings.js'
import type { Status } from './status.js'

const DOCUMENTS = ['file', 'untitled', 'vscode-notebook-cell'].map((scheme) => ({ scheme }))

export interface Events {
  onStatus(status: Status): void
  /** The server has ended by itself; the client starts it again a few times. */
  onGone(): void
}

export class Session {
  private readonly client: LanguageClient
  private readonly watching: Disposable

  constructor(command: string, env: Record<string, string>, settings: string[], log: LogOutputChannel, events: Events) {
    const run = { command, args: ['serve'], options: { env: { ...process.env, ...env } } }
    this.client = new QuietClient('qwen-lsp', 'Qwen', run, {
      documentSelector: DOCUMENTS,
      initializationOptions: chosen(settings),
      outputChannel: log,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      stdioOptions: { stdout: (lines) => forward(lines, log), stderr: (lines) => forward(lines, log) },
      middleware: {
        workspace: {
          configuration: ({ items }) => items.map(({ section }) => (section === SECTION ? chosen(settings) : null)),
        },
      },
    })
    this.client.registerFeature(understandsStatus)
    this.client.onNotification('qwen/status', (status: Status) => events.onStatus(status))
    this.client.onDidChangeState(({ oldState, newState }) => {
      if (oldState === State.Running && newState === State.Stopped) events.onGone()
    })
    this.watching = workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(SECTION) && this.client.isRunning()) {
        void this.client.sendNotification(DidChangeConfigurationNotification.type, { settings: null })
      }
    })
  }

  async start(): Promise<void> {
    await this.client.start()
  }

  /** Runs one of the server's commands (`qwen.why`). */
  async execute<T>(command: string, ...args: unknown[]): Promise<T> {
    return (await this.client.sendRequest(ExecuteCommandRequest.type, { command, arguments: args })) as T
  }

  async stop(): Promise<void> {
    this.watching.dispose()
    // What did not start, or ended by itself, has nothing to be told.
    await this.client.dispose().catch(() => undefined)
  }
}

class QuietClient extends LanguageClient {
  /** A failed completion is for the log and the status bar; the client would pop up a message at every key. */
  override handleFailedRequest<T>(
    type: MessageSignature,
    token: CancellationToken | undefined,
    error: unknown,
    defaultValue: T,
    _showNotification?: boolean,
    throwOnCancel?: boolean,
  ): T {
    return super.handleFailedRequest(type, token, error, defaultValue, false, throwOnCancel)
  }
}

/** Tells the server that this client shows `qwen/status`. */
const understandsStatus: StaticFeature = {
  fillClientCapabilities: (capabilities) => {
    capabilities.experimental = { ...(capabilities.experimental as object), qwenStatus: true }
  },
  initialize: () => undefined,
  getState: () => ({ kind: 'static' }),
  clear: () => undefined,
}

/** The server's log lines, which have a time of their own, as they are. */
function forward(lines: Readable, log: LogOutputChannel): void {
  createInterface({ input: lines }).on('line', (line) => log.appendLine(line))
}
