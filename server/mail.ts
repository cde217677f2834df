// E-mail by SMTP, when it is configured.
import type { Env } from './env.ts'

interface Mail {
  to: string
  subject: string
  text: string
}

/**
 * Hands the mail to the server at MATE_SMTP_URL.
 * @throws Error when there is none, or it does not take the mail within 15 seconds.
 */
export async function sendMail({ MATE_SMTP_URL, MATE_MAIL_FROM }: Env, mail: Mail): Promise<void> {
  if (!MATE_SMTP_URL) throw new Error('MATE_SMTP_URL is not set.')
  const { createTransport } = await import('nodemailer')
  const timeouts = { connectionTimeout: 5_000, greetingTimeout: 5_000, socketTimeout: 15_000 }
  const transport = createTransport({ url: MATE_SMTP_URL, ...timeouts })
  try {
    await transport.sendMail({ from: MATE_MAIL_FROM, ...mail })
  } finally {
    transport.close()
  }
}
