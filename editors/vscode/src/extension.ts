/** The extension: finds the server, keeps one session with it, and puts commands and status at its sides. */

import { commands, Uri, window, workspace, type ExtensionContext, type TextDocument } from 'vscode'

import { find, NoServer, type Executable } from './executable.js'
import { install, runInTerminal } from './install.js'
import * as keys from './keys.js'
import * as menu from './menu.js'
import { Session } from './session.js'
import { SECTION, setting } from './settings.js'
import { StatusItem, type Status } from './status.js'

const OFF: Status = { state: 'off', reason: 'The server is not running.' }

/** How long the status bar shows what a command has done. */
const SHOWN_MS = 8_000

/** The scheme of documents that are shown only. */
const INSPECTED = 'qwen-lsp'

interface Answer {
  text: string
  setting?: string | null
}

class Extension {
  private readonly log = window.createOutputChannel('Qwen', { log: true })
  private readonly item = new StatusItem('qwen-lsp.menu')
  private readonly environment: string
  private readonly settings: string[]
  private status: Status = OFF
  private inspected = ''
  private server: Executable | undefined
  private session: Session | undefined
  private starting: Promise<void> = Promise.resolve()

  constructor(private readonly context: ExtensionContext) {
    this.environment = Uri.joinPath(context.globalStorageUri, 'server').fsPath
    this.settings = Object.keys(context.extension.packageJSON.contributes.configuration.properties)
    const actions: Record<string, () => unknown> = {
      menu: () => this.menu(),
      why: () => this.why(),
      inspect: () => this.inspect(),
      toggle: () => this.change('qwen.toggle'),
      snooze: () => this.change('qwen.snooze'),
      statistics: () => this.statistics(),
      log: () => this.log.show(),
      key: () => this.setKey(),
      install: () => this.install(),
      toggleFile: () => this.toggleFile(window.activeTextEditor?.document),
      use: () => this.use(),
      clearCache: () => this.change('qwen.clearCache'),
      pull: () => this.pull(),
      restart: () => this.restart(),
    }
    context.subscriptions.push(
      this.log,
      this.item,
      ...Object.entries(actions).map(([name, run]) => commands.registerCommand(`qwen-lsp.${name}`, run)),
      workspace.registerTextDocumentContentProvider(INSPECTED, {
        provideTextDocumentContent: () => this.inspected,
      }),
      workspace.onDidGrantWorkspaceTrust(() => this.restart()),
      workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration(`${SECTION}.path`)) void this.restart()
      }),
    )
  }

  /** Starts the server, or starts it anew; one start at a time. */
  restart(): Promise<void> {
    this.starting = this.starting.then(() => this.start())
    return this.starting
  }

  private async start(): Promise<void> {
    await this.stop()
    this.server = undefined
    this.show(OFF)
    try {
      this.server = await find({
        chosen: setting('path'),
        // Nothing of a folder that is not trusted is executed.
        folders: workspace.isTrusted ? (workspace.workspaceFolders ?? []).map(({ uri }) => uri.fsPath) : [],
        own: this.environment,
      })
      this.log.info(`starting ${this.server.path}`)
      const env = await keys.environment(this.context.secrets)
      this.session = new Session(this.server.path, env, this.settings, this.log, {
        onStatus: (status) => this.show(status),
        onGone: () => this.show(OFF),
      })
      await this.session.start()
      this.show(await this.session.execute<Status>('qwen.status'))
      void commands.executeCommand('setContext', 'qwen-lsp.running', true)
    } catch (error) {
      await this.stop()
      void this.failed(error)
    }
  }

  async stop(): Promise<void> {
    const session = this.session
    this.session = undefined
    await session?.stop()
  }

  private async failed(error: unknown): Promise<void> {
    const reason = error instanceof NoServer ? error.message : `The server did not start (${String(error)}).`
    this.log.error(reason)
    this.show({ state: 'error', reason })
    const [offer, run] =
      error instanceof NoServer && error.missing
        ? (['Install', () => this.install()] as const)
        : (['Show Log', () => this.log.show()] as const)
    if ((await window.showErrorMessage(`Qwen: ${reason}`, offer)) === offer) await run()
  }

  private show(status: Status): void {
    this.status = status
    this.item.show(status)
  }

  private async menu(): Promise<void> {
    const session = this.session
    await menu.show(this.status, window.activeTextEditor?.document, {
      resume: () => this.change('qwen.resume'),
      pause: () => this.change('qwen.pause'),
      snooze: () => this.change('qwen.snooze'),
      toggleLanguage: (language) => this.change('qwen.toggleLanguage', language),
      toggleFile: (document) => this.toggleFile(document),
      use: () => this.use(),
      clearCache: () => this.change('qwen.clearCache'),
      remedy: (command, ...args) => this.change(command, ...args),
      why: () => this.why(),
      inspect: () => this.inspect(),
      statistics: () => this.statistics(),
      key: () => this.setKey(),
      log: () => this.log.show(),
      doctor: this.server?.doctor ? () => this.inTerminal('doctor') : undefined,
      install: session ? undefined : () => this.install(),
    })
  }

  private async why(): Promise<void> {
    const uri = window.activeTextEditor?.document.uri.toString()
    const answer = await this.execute<Answer>('qwen.why', ...(uri ? [uri] : []))
    if (!answer) return
    const open = answer.setting ? ['Open Setting'] : []
    if (await window.showInformationMessage(`Qwen: ${answer.text}`, ...open)) {
      await commands.executeCommand('workbench.action.openSettings', answer.setting)
    }
  }

  /** The prompt, the answer and what became of it, as a document that can't be edited. */
  private async inspect(): Promise<void> {
    const answer = await this.execute<Answer>('qwen.inspect')
    if (!answer) return
    this.inspected = answer.text
    // A name of its own each time: VS Code keeps what it has shown under a name.
    await window.showTextDocument(Uri.from({ scheme: INSPECTED, path: 'last request.md', query: `${Date.now()}` }))
  }

  private async statistics(): Promise<void> {
    const answer = await this.execute<Answer>('qwen.statistics')
    if (answer) await window.showInformationMessage('Qwen: statistics', { modal: true, detail: answer.text })
  }

  private async toggleFile(document: TextDocument | undefined): Promise<void> {
    if (document) await this.change('qwen.toggleFile', document.uri.toString())
  }

  /** Another provider, and perhaps model, for this session. */
  private async use(): Promise<void> {
    const provider = await menu.provider()
    if (provider === undefined) return
    const prompt = 'Its model; empty: the default'
    const model = provider && (await window.showInputBox({ title: `Qwen: ${provider}`, prompt }))
    if (model !== undefined) await this.change('qwen.use', provider, model)
  }

  /** The embedded model: by the server, which shows how far it is; in a terminal where none runs. */
  private async pull(): Promise<void> {
    if (this.session) await this.change('qwen.fetchModel')
    else await this.inTerminal('model', 'pull')
  }

  /** Runs a command that changes something, and says in the status bar what it has done. */
  private async change(command: string, ...args: unknown[]): Promise<void> {
    const answer = await this.execute<Answer>(command, ...args)
    if (answer) window.setStatusBarMessage(`Qwen: ${answer.text}`, SHOWN_MS)
  }

  /** Runs one of the server's commands; without a server says why there is none. */
  private async execute<T>(command: string, ...args: unknown[]): Promise<T | undefined> {
    try {
      if (this.session) return await this.session.execute<T>(command, ...args)
      void window.showWarningMessage(`Qwen: ${this.status.reason}`)
    } catch (error) {
      void window.showWarningMessage(`Qwen: ${command} failed (${String(error)}).`)
    }
    return undefined
  }

  private async setKey(): Promise<void> {
    if (await keys.ask(this.context.secrets, this.status.provider ?? setting('provider'))) await this.restart()
  }

  private async install(): Promise<void> {
    const source = this.context.asAbsolutePath('server')
    if (await install(source, this.environment)) await this.restart()
  }

  /** A command of the server's program, in a terminal. */
  private async inTerminal(...args: string[]): Promise<void> {
    if (!this.server) {
      void window.showWarningMessage(`Qwen: ${this.status.reason}`)
      return
    }
    await runInTerminal(args.join(' '), [this.server.path, ...args])
  }
}

let extension: Extension | undefined

export async function activate(context: ExtensionContext): Promise<void> {
  extension = new Extension(context)
  await extension.restart()
}

export async function deactivate(): Promise<void> {
  await extension?.stop()
}
