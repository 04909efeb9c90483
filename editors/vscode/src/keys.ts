/** API keys: kept in VS Code's secret storage, handed to the server in its environment, and nowhere else. */

import { window, type QuickPickItem, type SecretStorage } from 'vscode'

interface Service extends QuickPickItem {
  /** The environment variable, and the secret's name. */
  variable: string
}

const DASHSCOPE: Service = { label: 'DashScope', description: 'Alibaba Cloud', variable: 'DASHSCOPE_API_KEY' }
const OTHER: Service = { label: 'Another server', description: 'OpenAI-compatible', variable: 'QWEN_LSP_API_KEY' }

/** The stored keys as environment variables. */
export async function environment(secrets: SecretStorage): Promise<Record<string, string>> {
  const pairs = [DASHSCOPE, OTHER].map(async ({ variable }) => [variable, await secrets.get(variable)] as const)
  const stored = (await Promise.all(pairs)).filter((pair): pair is [string, string] => Boolean(pair[1]))
  return Object.fromEntries(stored)
}

/** Asks for a key and stores it; an empty one removes what is stored. Whether something changed. */
export async function ask(secrets: SecretStorage, provider: string): Promise<boolean> {
  const services = provider === 'openai' ? [OTHER, DASHSCOPE] : [DASHSCOPE, OTHER]
  const service = await window.showQuickPick(services, { title: 'Qwen: whose key?' })
  if (!service) return false
  const key = await window.showInputBox({
    title: `Qwen: key for ${service.label}`,
    prompt: 'Kept in VS Code\'s secret storage. Empty: removes it.',
    password: true,
    ignoreFocusOut: true,
  })
  if (key === undefined) return false
  await (key.trim() ? secrets.store(service.variable, key.trim()) : secrets.delete(service.variable))
  return true
}
