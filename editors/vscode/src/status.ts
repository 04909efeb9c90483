/** The status-bar item: the server's state and the reason for it. */

import { MarkdownString, StatusBarAlignment, ThemeColor, window, type Disposable } from 'vscode'

/** What the server tells by `qwen/status`; without the model before it has told anything. */
export interface Status {
  state: 'ready' | 'busy' | 'paused' | 'warning' | 'error' | 'off'
  reason: string
  provider?: string
  model?: string
  /** Milliseconds. */
  latency?: number | null
  /** When a snooze ends. */
  until?: string | null
  /** What would help. */
  command?: { title: string; command: string; arguments: unknown[] } | null
}

const ICONS: Record<Status['state'], string> = {
  ready: '$(sparkle)',
  busy: '$(loading~spin)',
  paused: '$(debug-pause)',
  warning: '$(warning)',
  error: '$(error)',
  off: '$(circle-slash)',
}

export class StatusItem implements Disposable {
  private readonly item = window.createStatusBarItem('status', StatusBarAlignment.Right, 100)

  constructor(command: string) {
    this.item.name = 'Qwen'
    this.item.command = command
    this.item.show()
  }

  show(status: Status): void {
    const { state, reason } = status
    const who = [status.provider, status.model].filter(Boolean).join(' · ')
    const latency = status.latency == null ? '' : ` · ${status.latency} ms`
    const troubled = state === 'warning' || state === 'error'
    this.item.text = `${ICONS[state]} Qwen`
    this.item.tooltip = new MarkdownString()
      .appendText(`Qwen: ${state}${reason && `. ${reason}`}`)
      .appendText(who && `\n\n${who}${latency}`)
    this.item.backgroundColor = troubled ? new ThemeColor(`statusBarItem.${state}Background`) : undefined
    this.item.accessibilityInformation = { label: `Qwen: ${state}. ${reason}`, role: 'button' }
  }

  dispose(): void {
    this.item.dispose()
  }
}
