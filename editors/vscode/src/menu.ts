/** What can be done about suggestions, as a menu. */

import { window, type QuickPickItem, type TextDocument } from 'vscode'

import type { Status } from './status.js'

export interface Entry extends QuickPickItem {
  run(): unknown
}

/** What the entries do. */
export interface Actions {
  resume(): unknown
  pause(): unknown
  snooze(): unknown
  toggleLanguage(language: string): unknown
  toggleFile(document: TextDocument): unknown
  use(): unknown
  clearCache(): unknown
  remedy(command: string, ...args: unknown[]): unknown
  why(): unknown
  inspect(): unknown
  log(): unknown
  statistics(): unknown
  doctor?: (() => unknown) | undefined
  key(): unknown
  install?: (() => unknown) | undefined
}

/** Remedies that have an entry of their own. */
const MENU = new Set(['qwen.why', 'qwen.resume'])

/** Shows the menu and does what is chosen. */
export async function show(status: Status, document: TextDocument | undefined, actions: Actions): Promise<void> {
  const title = `Qwen: ${status.state}`
  const entries = [...entriesFor(status, document, actions)]
  const chosen = await window.showQuickPick(entries, { title, placeHolder: status.reason })
  await chosen?.run()
}

/** Who is to complete: '' for what the settings say, undefined for no choice. */
export async function provider(): Promise<string | undefined> {
  const entries = [
    { label: 'As the settings say', name: '' },
    { label: 'DashScope', name: 'dashscope' },
    { label: 'An OpenAI-compatible server', description: 'qwen.baseUrl', name: 'openai' },
    { label: 'The embedded model', name: 'local' },
  ]
  return (await window.showQuickPick(entries, { title: 'Qwen: who completes in this session' }))?.name
}

function* entriesFor(status: Status, document: TextDocument | undefined, actions: Actions): Generator<Entry> {
  if (actions.install) {
    yield { label: '$(cloud-download) Install the server', run: actions.install }
  } else {
    if (status.command && !MENU.has(status.command.command)) {
      const { title, command, arguments: args } = status.command
      yield { label: `$(lightbulb) ${title}`, run: () => actions.remedy(command, ...args) }
    }
    yield { label: '$(question) Why is there no suggestion?', run: actions.why }
    yield { label: '$(search) Inspect the last request', run: actions.inspect }
    if (status.state === 'paused' || status.state === 'off') {
      yield { label: '$(debug-start) Resume', run: actions.resume }
    } else {
      yield { label: '$(debug-pause) Pause', run: actions.pause }
      yield { label: '$(clock) Snooze for 5 minutes', run: actions.snooze }
    }
    if (document) {
      const { languageId } = document
      const label = `$(circle-slash) Turn off or on for ${languageId}`
      yield { label, description: 'in this session', run: () => actions.toggleLanguage(languageId) }
      const run = () => actions.toggleFile(document)
      yield { label: '$(circle-slash) Turn off or on for this file', description: 'in this session', run }
    }
    yield { label: '$(arrow-swap) Use another provider or model', description: 'in this session', run: actions.use }
    yield { label: '$(trash) Forget all answers', run: actions.clearCache }
    yield { label: '$(graph) Statistics', run: actions.statistics }
  }
  yield { label: '$(key) Set the API key', run: actions.key }
  if (actions.doctor) yield { label: '$(pulse) Doctor', run: actions.doctor }
  yield { label: '$(output) Show log', run: actions.log }
}
