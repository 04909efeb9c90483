// A page in headless Chromium, for browser.py: a line of JSON with a method of the page comes in, its result goes out.
// Arguments: the folder with node_modules/playwright-core in it, and Chromium.

import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const [, , folder, executablePath] = process.argv
const { chromium } = createRequire(`${folder}/`)('playwright-core')
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
const page = await browser.newPage({ viewport: { width: 1000, height: 640 } })

for await (const line of createInterface({ input: process.stdin })) {
  const { method, args } = JSON.parse(line)
  let answer
  try {
    const [name, holder = page] = method.split('.').reverse().map((part, at) => (at ? page[part] : part))
    const result = await holder[name](...args)
    answer = { result: Buffer.isBuffer(result) || result === Object(result) && !isPlain(result) ? null : result }
  } catch (error) {
    answer = { error: error.message }
  }
  console.log(JSON.stringify(answer))
}
await browser.close()

function isPlain(value) {
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
}
